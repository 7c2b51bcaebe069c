"""Each known bad installation, simulated: it is named, and its cure with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgewatch.tools.findings import Status, all_well
from edgewatch.tools.installation.facts import Facts, Gpu, Import, Memory, Model, Mpi
from edgewatch.tools.installation.versions import core_requirements
from edgewatch.tools.verify_install import examine

GOOD_AV = Import(True, facts={"decoders": ["h264", "hevc", "mjpeg"], "ffmpeg": "7"})
WANTED = tuple(core_requirements(["av<19,>=18", "numpy>=1.26"]))
BUILTIN = Facts(
    python=(3, 12, 3),
    packages={"av": "18.1.0", "numpy": "2.4.6", "onnxruntime": "1.27.0"},
    wanted=WANTED,
    imports={"av": GOOD_AV, "cv2": Import(True)},
)
H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0), 85_000_000_000)
GB10 = Gpu("NVIDIA GB10", (12, 1))
TORCH = Import(
    True, facts={"cuda": "13.0", "archs": ["sm_80", "sm_90", "sm_100", "sm_120"], "sees_gpus": 1}
)
TRANSFORMERS = replace(
    BUILTIN,
    kind="transformers",
    driver="580.159.04",
    gpus=(H100,),
    packages={
        **BUILTIN.packages,
        "torch": "2.11.0+cu130",
        "transformers": "5.17.0",
        "tokenizers": "0.23.2",
        "safetensors": "0.8.0",
    },
    imports={**BUILTIN.imports, "torch": TORCH, "transformers": Import(True)},
)
SPARK = replace(
    TRANSFORMERS,
    kind="tensorrt",
    driver="580.95.05",
    gpus=(GB10,),
    in_container=True,
    packages={
        "av": "18.1.0",
        "numpy": "1.26.4",
        "torch": "2.9.1",
        "transformers": "4.57.3",
        "tensorrt-llm": "1.2.1",
        "tensorrt": "10.13.3.9",
        "flash-attn": "2.7.4.post1",
    },
    imports={
        **BUILTIN.imports,
        "torch": TORCH,
        "tensorrt_llm": Import(True),
        "flash_attn": Import(True),
    },
    memory=Memory(128_000_000_000, 90_000_000_000, 10_000_000_000, 1_000_000_000),
    model=Model("/models/Cosmos-Reason1-7B-NVFP4", rope_type="mrope", quantisation="NVFP4"),
)


def with_packages(facts: Facts, **versions: str | None) -> Facts:
    """Change versions; None takes a package away. `_` stands for `-`."""
    packages = dict(facts.packages)
    for name, version in versions.items():
        packages.pop(name.replace("_", "-"), None)
        if version is not None:
            packages[name.replace("_", "-")] = version
    return replace(facts, packages=packages)


def with_import(facts: Facts, module: str, found: Import) -> Facts:
    return replace(facts, imports={**facts.imports, module: found})


def broken(error: str) -> Import:
    return Import(False, error)


@pytest.mark.parametrize("facts", [BUILTIN, TRANSFORMERS, SPARK], ids=lambda one: one.kind)
def test_a_good_installation_has_nothing_to_say(facts: Facts) -> None:
    assert [one for one in examine(facts) if one.status != "ok"] == []


CORE: list[tuple[Facts, Status, str, str]] = [
    (replace(BUILTIN, python=(3, 10, 12)), "fail", "python", "Install Python 3.12"),
    (replace(BUILTIN, python=(3, 14, 0)), "warn", "python", "Python 3.12"),
    (with_packages(BUILTIN, av="17.0"), "fail", "dependencies", "--force-reinstall edgewatch"),
    (with_packages(BUILTIN, numpy=None), "fail", "dependencies", "--force-reinstall edgewatch"),
    (
        replace(with_packages(BUILTIN, av="19.0"), python=(3, 11, 7), wanted=()),
        "fail",
        "PyAV",
        "'av>=18,<19'",
    ),
    (with_import(BUILTIN, "av", broken("libavcodec.so.62")), "fail", "PyAV", "a wheel"),
    (
        with_import(BUILTIN, "av", Import(True, facts={"decoders": ["h264", "mjpeg"]})),
        "fail",
        "PyAV",
        "--only-binary av",
    ),
    (
        with_import(BUILTIN, "cv2", broken("libGL.so.1: cannot open shared object file")),
        "fail",
        "OpenCV",
        "uninstall -y opencv-python;",
    ),
    (
        with_import(BUILTIN, "cv2", broken("numpy.core.multiarray failed to import")),
        "fail",
        "OpenCV",
        "'opencv-python-headless<4.12'",
    ),
    (
        with_packages(BUILTIN, opencv_python="4.13", opencv_python_headless="4.13"),
        "warn",
        "OpenCV",
        "uninstall -y opencv-python opencv-python-headless",
    ),
    (with_packages(BUILTIN, onnxruntime="1.30.0"), "warn", "ONNX Runtime", "'onnxruntime<1.28'"),
    (
        with_packages(BUILTIN, onnxruntime_gpu="1.27.0"),
        "warn",
        "ONNX Runtime",
        "uninstall -y onnxruntime-gpu",
    ),
]
TORCH_ROWS: list[tuple[Facts, Status, str, str]] = [
    (with_packages(TRANSFORMERS, torch=None), "fail", "torch", "edgewatch[transformers]"),
    (
        with_import(TRANSFORMERS, "torch", broken("libcudnn.so.9")),
        "fail",
        "torch",
        "new environment",
    ),
    (replace(TRANSFORMERS, driver="535.104.05"), "fail", "torch", "Update the driver"),
    (
        with_import(TRANSFORMERS, "torch", Import(True, facts={"cuda": "", "archs": []})),
        "warn",
        "torch",
        "uninstall -y torch",
    ),
    (
        with_import(
            TRANSFORMERS,
            "torch",
            Import(True, facts={"cuda": "12.8", "archs": ["sm_80", "sm_100a"], "sees_gpus": 1}),
        ),
        "fail",
        "torch",
        "no kernel image is available",
    ),
    (
        with_import(
            TRANSFORMERS,
            "torch",
            Import(True, facts={"cuda": "13.0", "archs": ["sm_90"], "sees_gpus": 0}),
        ),
        "fail",
        "torch",
        "--gpus all",
    ),
    (
        with_packages(TRANSFORMERS, torchvision="0.24.1"),
        "fail",
        "torchvision",
        "'torchvision==0.26.*'",
    ),
    (
        with_packages(TRANSFORMERS, transformers="4.45.2"),
        "fail",
        "transformers",
        "'transformers>=4.57,<6'",
    ),
    (
        with_packages(TRANSFORMERS, tokenizers=None),
        "fail",
        "tokenizers",
        "edgewatch[transformers]",
    ),
    (
        with_import(TRANSFORMERS, "transformers", broken("operator torchvision::nms")),
        "fail",
        "transformers",
        "edgewatch[transformers]",
    ),
    (
        replace(TRANSFORMERS, quantize="int8"),
        "fail",
        "bitsandbytes",
        "pip install bitsandbytes accelerate",
    ),
    (
        replace(TRANSFORMERS, quantize="int8", gpus=()),
        "fail",
        "bitsandbytes",
        'quantize = "none"',
    ),
    (
        with_packages(TRANSFORMERS, nvidia_modelopt="0.47.0"),
        "fail",
        "ModelOpt",
        "edgewatch[quantize]",
    ),
    (
        with_packages(TRANSFORMERS, nvidia_modelopt="0.31.0", requests="2.34"),
        "fail",
        "ModelOpt",
        "'nvidia-modelopt>=0.37'",
    ),
]
TENSORRT_ROWS: list[tuple[Facts, Status, str, str]] = [
    (replace(SPARK, driver=None, gpus=()), "fail", "driver", "--gpus all"),
    (with_packages(SPARK, tensorrt_llm=None), "fail", "TensorRT-LLM", "release:1.2.1"),
    (
        with_import(SPARK, "tensorrt_llm", broken("No module named 'tensorrt_llm'")),
        "fail",
        "TensorRT-LLM",
        "Do not use pip",
    ),
    # the playbook's fix 1: OpenMPI with another PMIx
    (
        replace(
            SPARK,
            in_container=False,
            mpi=Mpi(version="4.1.6", external_pmix=True, pmix_version="5.0.1"),
        ),
        "fail",
        "OpenMPI",
        "--with-pmix=internal",
    ),
    (
        with_import(SPARK, "tensorrt_llm", Import(False, "took longer than 120 s", hung=True)),
        "fail",
        "TensorRT-LLM",
        "--with-pmix=internal",
    ),
    # fix 2: flash-attn
    (
        with_import(SPARK, "flash_attn", broken("No module named 'flash_attn'")),
        "warn",
        "flash-attn",
        "flash-attn --no-build-isolation",
    ),
    # fixes 3 and 5: rope type "default", a video as a list of frames
    (with_packages(SPARK, tensorrt_llm="1.1.0"), "fail", "TensorRT-LLM", "release:1.2.1"),
    (
        replace(SPARK, model=Model("/models/x", rope_type="default", quantisation="NVFP4")),
        "warn",
        "model",
        '"type": "mrope"',
    ),
    # fix 4: login for gated models
    (replace(SPARK, model=Model("/models/x", exists=False)), "fail", "model", "hf auth login"),
    (with_packages(SPARK, tensorrt_llm="1.3.0"), "warn", "TensorRT-LLM", "release:1.2.1"),
    (with_packages(SPARK, numpy="2.4.6"), "fail", "numpy", "'numpy<2'"),
    (with_packages(SPARK, transformers="5.17.0"), "warn", "transformers", "transformers==4.57.3"),
    (with_packages(SPARK, tensorrt="10.9.0"), "warn", "tensorrt", "tensorrt==10.13"),
    (replace(SPARK, gpus=(H100,)), "fail", "GPU", "FP8 or bf16"),
    (
        replace(SPARK, gpus=(Gpu("NVIDIA B200", (10, 0)),)),
        "warn",
        "GPU",
        "edgewatch check",
    ),
    (
        replace(SPARK, memory=Memory(128_000_000_000, 8_000_000_000, 60_000_000_000, None)),
        "warn",
        "memory",
        "drop_caches",
    ),
    (
        replace(SPARK, memory=replace(SPARK.memory, shm_bytes=67_108_864)),
        "fail",
        "shared memory",
        "--ipc=host",
    ),
]


@pytest.mark.parametrize(
    ("facts", "status", "name", "cure"),
    [*CORE, *TORCH_ROWS, *TENSORRT_ROWS],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_known_bad_installation_is_named_with_its_cure(
    facts: Facts, status: Status, name: str, cure: str
) -> None:
    findings = examine(facts)
    wrong = [one for one in findings if one.status != "ok"]
    fitting = [
        one for one in wrong if one.name == name and one.status == status and cure in one.cure
    ]
    assert len(fitting) == 1, wrong
    assert all(one.cure for one in wrong)
    assert all_well(findings) == all(one.status == "warn" for one in wrong)


def test_the_native_engine_needs_no_transformers_and_names_its_own_extra() -> None:
    native = with_packages(replace(TRANSFORMERS, kind="native"), transformers=None)
    assert all_well(examine(native))
    [lacking] = [
        one for one in examine(with_packages(native, safetensors=None)) if one.status == "fail"
    ]
    assert lacking.name == "safetensors"
    assert lacking.cure == "pip install 'edgewatch[native]'"


def test_a_gpu_runs_code_of_a_lower_minor_capability() -> None:
    torch = Import(True, facts={"cuda": "13.0", "archs": ["sm_120"], "sees_gpus": 1})
    assert all_well(examine(with_import(SPARK, "torch", torch)))


def test_code_for_a_later_translation_runs_on_newer_gpus() -> None:
    torch = Import(True, facts={"cuda": "13.0", "archs": ["compute_90"], "sees_gpus": 1})
    assert all_well(examine(with_import(SPARK, "torch", torch)))
