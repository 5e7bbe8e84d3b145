"""Paper B's INR, fitted to one scan under a semantic prior (arXiv:2511.19641).

3200 steps: half with total variation, half of the adaptor alone with the prior, with the weights
and the encoder input of the authors' released code. The prior is what a frozen encoder sees in
fully sampled and in undersampled auxiliary images, here SigLIP-L/16 at 384 pixels, the
architecture of Janus-Pro's vision tower; any encoder of `jaxrecon.encoders.spec` serves:

    python -m weight_conversion.siglip --source google/siglip-large-patch16-384 --allow_larger \
        --output weights/siglip_l16
    python -m jaxrecon.embed --config experiments/semantic_inr.py \
        --config.auxiliary.root=/data/knee/multicoil_train --output priors/knee.h5
    python -m jaxrecon.reconstruct --config experiments/semantic_inr.py --input file.h5 \
        --mask gaussian --acceleration 4 --workdir runs/knee_inr --output knee.png

`--config.regulariser=tv` is the baseline (or experiments/tv_inr.py), `--acceleration 6` the
knee's other setting, 4 and 5 the brain's. Cross-contrast: a prior of fat-suppressed images
(`--config.auxiliary.contrasts=CORPDFS_FBK,`) for a scan without suppression.

In the paper, knee, R = 4: SSIM 0.768 (TV 0.750), LPIPS 0.096 (0.111). These are its figures on
fastMRI, not ours.
"""

from ml_collections import ConfigDict

from jaxrecon.scan_config import inr_config


def get_config() -> ConfigDict:
    """The experiment's configuration."""
    config = inr_config()
    config.name = "inr_semantic"
    config.prior.encoder.weights = "weights/siglip_l16"
    config.prior.embeddings = "priors/knee.h5"
    config.prior.level_weights = (0.01, 0.5, 1.0)
    config.prior.components = (64, 128, 256)
    config.prior.reduction = "image"
    return config
