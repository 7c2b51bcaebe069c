"""Parts of `bench.native`: how fast clips are scored, in a busy loop and now and then."""

from __future__ import annotations

import statistics
from functools import partial

from bench.native_clock import PRODUCT_SIDE, now_and_then, product_rate, repeated_ms, steady
from bench.native_peer import library_of
from bench.native_run import VARIANTS, Bench, Variant
from bench.native_subjects import FixedScripts, Precision
from edgewatch.pipeline.engines.native.network import Network

SHORT_SECONDS, WARM_SECONDS = 2.0, 0.4
IDLE_TIMES, IDLE_SECONDS = 22, 0.1
LIBRARY_BATCHES = (1, 8)


def speed(bench: Bench) -> None:
    """Time every precision, batch and variant, beside matrix products and transformers."""
    yardsticks(bench)
    for precision in bench.precisions:
        network = bench.weights(precision).network()
        for batch in bench.options.batches:
            for variant in VARIANTS:
                seconds = bench.options.seconds if batch == 8 else SHORT_SECONDS
                seconds = min(seconds, bench.options.seconds)
                if bench.enough(seconds + 5, f"{precision} batch {batch} {variant.name}"):
                    measure(bench, network, precision, batch, variant, seconds)


def yardsticks(bench: Bench) -> None:
    """Time matrix products, and transformers' forward in bfloat16 (float32 on a CPU)."""
    import torch

    gpu = bench.device.type == "cuda"
    side = PRODUCT_SIDE if gpu else 256
    for kind in bench.precisions:
        rate = product_rate(kind, bench.device, seconds=min(3.0, bench.options.seconds), side=side)
        bench.figures[f"product_{kind}_tflops"] = rate / 1e12
        bench.say(f"matrix product {side}^3 {kind}: {rate / 1e12:.0f} TFLOP/s")
    library = library_of(
        bench.shape,
        bench.device,
        torch.bfloat16 if gpu else torch.float32,
        FixedScripts(bench.shape),
    )
    for batch in LIBRARY_BATCHES if gpu else (1,):
        clips = bench.clips(batch)
        seconds = min(3.0, bench.options.seconds)
        whole = repeated_ms(partial(library.scores, clips), bench.device, seconds=seconds)
        bench.figures[f"transformers_batch_{batch}_ms"] = whole / batch
        bench.say(f"transformers' forward, batch {batch}: {whole / batch:.1f} ms a clip")
    del library
    bench.let_go_unused()


def measure(
    bench: Bench,
    network: Network,
    precision: Precision,
    batch: int,
    variant: Variant,
    seconds: float,
) -> None:
    """Time one loop, and hold it against the yardsticks of this run."""
    figures, name = bench.figures, f"{precision}_batch_{batch}_{variant.name}"
    found = steady(
        bench.scorer(network, variant),
        bench.batches(batch, variant),
        seconds=seconds,
        warm_seconds=min(WARM_SECONDS, seconds),
    )
    figures[f"{name}_ms"] = found.ms_per_clip
    figures[f"{name}_clips_per_second"] = found.clips_per_second
    figures[f"{name}_launch_ms"] = found.launch_ms
    flop = bench.flop(variant)
    figures[f"{variant.name}_tflop_per_clip"] = flop / 1e12
    told = f"{name:32s} {found.ms_per_clip:6.2f} ms/clip {found.clips_per_second:6.1f} clips/s"
    told += f" launch {found.launch_ms:6.2f} ms/batch"
    # Of the batch that is nearest: transformers is measured at two.
    nearest = min(
        (one for one in LIBRARY_BATCHES if f"transformers_batch_{one}_ms" in figures),
        key=lambda one: abs(one - batch),
        default=0,
    )
    if nearest:
        ratio = figures[f"transformers_batch_{nearest}_ms"] / found.ms_per_clip
        figures[f"{name}_ratio_transformers"] = ratio
        told += f" {ratio:5.2f}x transformers({nearest})"
    if f"product_{precision}_tflops" in figures:
        rate = flop / 1e12 * 1e3 / found.ms_per_clip
        share = rate / figures[f"product_{precision}_tflops"]
        figures[f"{name}_product_share"] = share
        told += f" {flop / 1e12:.2f} TFLOP {rate:.0f} TFLOP/s = {100 * share:.0f} %"
    bench.say(told)


def idle(bench: Bench) -> None:
    """Time one clip now and then on a GPU that does nothing else, host to host."""
    for precision in bench.precisions:
        network = bench.weights(precision).network()
        for variant in VARIANTS:
            if bench.enough(8, f"idle {precision} {variant.name}"):
                _idle(bench, network, f"{precision}_idle_{variant.name}", variant)
        if bench.device.type == "cuda" and bench.enough(8, f"idle {precision} without graphs"):
            network.replays.on = False
            _idle(bench, network, f"{precision}_idle_without_graphs", VARIANTS[0])


def _idle(bench: Bench, network: Network, name: str, variant: Variant) -> None:
    scorer, batches = bench.scorer(network, variant), bench.batches(1, variant)
    found = now_and_then(
        lambda: scorer.score(next(batches)),
        times=IDLE_TIMES if bench.device.type == "cuda" else 3,
        apart_seconds=IDLE_SECONDS,
    )
    bench.figures[f"{name}_ms"] = statistics.median(found)
    bench.figures[f"{name}_worst_ms"] = max(found)
    bench.say(f"{name:32s} median {statistics.median(found):6.2f} ms, worst {max(found):6.2f}")
