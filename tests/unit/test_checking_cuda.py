"""Which CUDA is inside, and whether a host's driver runs it."""

import pytest

from kennel import contract
from kennel.checking import cuda
from kennel.checking.cuda import Host

SITE = "opt/venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("path", "version"),
    [
        (f"{SITE}/torch-2.10.0+cu128.dist-info/METADATA", "12.8"),
        (f"{SITE}/nvidia_cuda_runtime_cu12-12.8.90.dist-info/METADATA", "12.8"),
        (f"{SITE}/nvidia_cuda_runtime-13.0.48.dist-info/METADATA", "13.0"),
        (f"{SITE}/nvidia/cuda_runtime/lib/libcudart.so.12", "12"),
        ("usr/local/cuda-11.8/targets/x86_64-linux/lib/libcudart.so.11.8.89", "11.8"),
        ("usr/local/cuda-12.4/version.json", "12.4"),
    ],
)
def test_names_of_files_tell_the_version(path, version):
    """
    Of torch's build, of NVIDIA's wheels and of NVIDIA's base images.
    """
    assert str(cuda.in_path(path)) == version


@pytest.mark.parametrize("path", ["usr/lib/libcurl.so.4", f"{SITE}/torch/cuda/__init__.py"])
def test_other_files_tell_nothing(path):
    """
    A folder called cuda is not a version.
    """
    assert cuda.in_path(path) is None


def test_torch_says_what_it_was_built_for():
    """
    torch/version.py has the version, or None in a build for CPUs.
    """
    built = cuda.in_torch_version(b"__version__ = '2.10.0'\ncuda: Optional[str] = '12.8'\n")

    assert str(built) == "12.8"
    assert cuda.in_torch_version(b"cuda: Optional[str] = None\n") is None


def test_the_surest_sign_counts():
    """
    What torch was built for, not the toolkit that happens to lie beside it.
    """
    toolkit = cuda.in_path("usr/local/cuda-11.8/version.json")
    torch = cuda.in_torch_version(b"cuda = '12.8'\n")

    found = cuda.judge([toolkit, torch], Host("ml.g6.xlarge"))

    assert "CUDA 12.8 (torch)" in found.evidence


@pytest.mark.parametrize(
    ("version", "host", "status"),
    [
        ("11.8", Host("ml.g5.xlarge"), "pass"),
        ("12.8", Host("ml.g5.xlarge"), "warn"),
        ("12.8", Host("ml.g4dn.xlarge"), "warn"),
        ("12.8", Host("ml.g5.xlarge", "al2-ami-sagemaker-inference-gpu-2-1"), "pass"),
        ("12.8", Host("ml.g6.xlarge"), "pass"),
        ("13.0", Host("ml.g5.xlarge", "al2-ami-sagemaker-inference-gpu-3-1"), "fail"),
        ("13.0", Host("ml.g5.xlarge", "al2023-ami-sagemaker-inference-gpu-4-1"), "pass"),
        ("12.8", Host("ml.p3.2xlarge"), "fail"),
        ("12.6", Host("ml.p3.2xlarge"), "warn"),
        ("12.8", Host("ml.m5.large"), "warn"),
        ("12.8", Host("ml.g7e.2xlarge"), "skip"),
        ("12.8", None, "skip"),
        ("14.0", Host("ml.g5.xlarge"), "skip"),
    ],
)
def test_the_driver_must_run_the_cuda(version, host, status):
    """
    470 hosts need an InferenceAmiVersion for CUDA 12, 580 is needed for 13, and V100 ends at 12.6.
    """
    sign = cuda.in_torch_version(f"cuda = '{version}'\n".encode())

    found = cuda.judge([sign], host)

    assert found.status == status, found.evidence


def test_the_advice_names_the_oldest_ami_that_will_do():
    """
    Of two versions of one driver, the later, which does not mount cuda-compat by itself.
    """
    found = cuda.judge([cuda.in_torch_version(b"cuda = '12.8'\n")], Host("ml.g5.xlarge"))

    assert "InferenceAmiVersion al2-ami-sagemaker-inference-gpu-2-1" in found.remedy


def test_cuda_compat_makes_an_old_driver_possible():
    """
    With it inside, the entry point has to put it on the library path: a warning that says so.
    """
    host = Host("ml.g5.xlarge", "al2-ami-sagemaker-inference-gpu-2-1")

    found = cuda.judge([cuda.in_torch_version(b"cuda = '13.0'\n")], host, has_compat=True)

    assert (found.status, "LD_LIBRARY_PATH" in found.remedy) == ("warn", True)
    assert cuda.is_compat("usr/local/cuda-13.0/compat/libcuda.so.580.65.06")


def test_a_cpu_image_on_a_gpu_instance_warns():
    """
    Somebody pays for a GPU that nothing uses.
    """
    assert cuda.judge([], Host("ml.g5.xlarge")).status == "warn"
    assert cuda.judge([], Host("ml.m5.large")).status == "pass"
    assert cuda.judge([], None).status == "pass"


def test_the_drivers_of_the_contract_are_of_aws_s_ami_versions(valid_request):
    """
    Every InferenceAmiVersion in the table is one that CreateEndpointConfig takes.
    """
    for version in contract.INFERENCE_AMI_DRIVERS:
        variant = {"VariantName": "a", "ModelName": "m", "InferenceAmiVersion": version}
        request = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
        valid_request("create_endpoint_config", request)
