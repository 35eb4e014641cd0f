#!/usr/bin/env bash
# Everything that wants a GPU, in one command: speed of full-width Split-ResNet-18, then a brief cifar-blur beside the
# published curve.
#   CHIASM_DATA=folder-with-cifar-10 benchmarks/gpu.sh [OUT]
# The tests marked gpu come first; a short table comes last. A run that is cut off goes on where it was.
set -euo pipefail
out=${1:-runs/gpu}
mkdir -p "$out"
python -m pytest -q -m gpu -p no:cacheprovider tests | tail -n 3
python benchmarks/vision.py --device cuda --width 64 --steps 30 | tee "$out/speed.txt"
# Each count of processes starts afresh: what the store holds would not be trained again.
: >"$out/at_once.txt"
for n in 1 2 4 8; do
    rm -rf "$out/at-once-$n"
    began=$(date +%s)
    python -m chiasm.cli run benchmarks/at_once.toml --out "$out/at-once-$n" --device cuda --workers "$n" --no-report >/dev/null
    echo "$n process(es): $(($(date +%s) - began)) s" >>"$out/at_once.txt"
done
python -m chiasm.cli run benchmarks/gpu.toml --out "$out/brief" --device cuda >"$out/brief.txt"
echo "== speed"
tail -n 8 "$out/speed.txt"
echo "== eight small runs on one GPU, by processes"
cat "$out/at_once.txt"
echo "== cifar-blur-brief: accuracy, mean of the last five epochs (published at 0, 60, 120, 180: 93.7, 92.4, 91.3, 91.1)"
python - "$out/brief/results.parquet" <<'PY'
import sys
import polars as pl
table = pl.read_parquet(sys.argv[1]).filter(pl.col("final"))
for cell in table["cell"].unique(maintain_order=True):
    own = table.filter(cell=cell)
    accuracy = own.filter(quantity="accuracy", source="all")["value"][0]
    rsv = own.filter(quantity="rsv_mean", layer="trunk.stage4")["value"][0]
    print(f"{cell:6} accuracy {100 * accuracy:.2f} %   mean RSV of stage 4 {rsv:+.3f}")
PY
