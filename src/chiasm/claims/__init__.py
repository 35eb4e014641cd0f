"""What is claimed of each shipped study, as checks that can fail; `make verify` runs the studies and checks them."""

from chiasm.claims import digits, motion, reconstruction, stereogram
from chiasm.claims.claim import Claim, Verdict, allows, mean_over_seeds, over_seeds

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "digits": digits.CLAIMS,
    "motion-masked": motion.MASKED,
    "motion-memory": motion.MEMORY,
    "motion-one-stage": motion.ONE_STAGE,
    "motion-supervised": motion.SUPERVISED,
    "stereogram": stereogram.CLAIMS,
    "stereogram-reconstruction": reconstruction.CLAIMS,
}

__all__ = ["CLAIMS", "Claim", "Verdict", "allows", "mean_over_seeds", "over_seeds"]
