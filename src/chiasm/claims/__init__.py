"""What is claimed of each shipped study, as checks that can fail; `make verify` runs the studies and checks them."""

from chiasm.claims import digits, stereogram
from chiasm.claims.claim import Claim, Verdict, allows, mean_over_seeds, over_seeds

CLAIMS: dict[str, tuple[Claim, ...]] = {"digits": digits.CLAIMS, "stereogram": stereogram.CLAIMS}

__all__ = ["CLAIMS", "Claim", "Verdict", "allows", "mean_over_seeds", "over_seeds"]
