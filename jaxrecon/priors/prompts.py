"""Prompts of Feng et al. 2025, arXiv:2511.19641, and what tells the answers to them apart."""

QUALITY_PROMPTS = (
    "Determine whether this image is high-quality or low-quality.",
    "Decide if the image is best described as high-quality or low-quality.",
    "Does this image appear high or low quality?",
    "Assess whether this image is high quality or low quality.",
    "Decide if the image appears high quality or low quality.",
    "Evaluate whether the image is high-quality or low-quality.",
    "Indicate if this image represents high quality or low quality.",
    "Choose whether this image fits high quality or low quality.",
    "Check whether this image is high-quality or low-quality.",
    "Is the image high or low quality?",
    "Provide a classification of the image quality: high or low.",
    "Give a classification of the image quality: high or low.",
    "Does this look like a high-quality or low-quality image?",
    "Would you judge the image as high-quality or low-quality?",
    "Is the quality of this image high-quality or low-quality?",
    "Decide whether the image looks high-quality or low-quality.",
    "Assess whether the overall appearance is high-quality or low-quality.",
    "Indicate whether this image is high-quality or low-quality.",
    "Decide if the image should be judged high-quality or low-quality.",
    "Classify the image quality: high or low.",
)
"""The twenty phrasings of Supporting Information Table S1; the first is the paper's own."""
QUALITY_MEANINGS = ("high", "low")

BLURRED_PROMPT = "Determine whether this image is blurred or aliased."
BLURRED_MEANINGS = ("blur", "alias")

SINGLE_WORD = "Respond with single word."
"""What the released code adds to a prompt."""


def with_single_word(prompt: str) -> str:
    """A prompt as the released code poses it, asking for a single word."""
    return f"{prompt} {SINGLE_WORD}"
