"""
AWS's own images of Debugger's rules, which are closed: whose they are in which region.

Source: the SageMaker Python SDK's image_uri_config/debugger.json and the developer guide, "Docker
images for Debugger rules". A region that is not among them has no Debugger.
"""

from collections.abc import Mapping
from types import MappingProxyType

from kennel.errors import SettingsError

ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {
        "af-south-1": "314341159256",
        "ap-east-1": "199566480951",
        "ap-northeast-1": "430734990657",
        "ap-northeast-2": "578805364391",
        "ap-northeast-3": "479947661362",
        "ap-south-1": "904829902805",
        "ap-southeast-1": "972752614525",
        "ap-southeast-2": "184798709955",
        "ca-central-1": "519511493484",
        "cn-north-1": "618459771430",
        "cn-northwest-1": "658757709296",
        "eu-central-1": "482524230118",
        "eu-north-1": "314864569078",
        "eu-south-1": "563282790590",
        "eu-west-1": "929884845733",
        "eu-west-2": "250201462417",
        "eu-west-3": "447278800020",
        "me-south-1": "986000313247",
        "sa-east-1": "818342061345",
        "us-east-1": "503895931360",
        "us-east-2": "915447279597",
        "us-gov-west-1": "515509971035",
        "us-west-1": "685455198987",
        "us-west-2": "895741380848",
    }
)
REPOSITORY = "sagemaker-debugger-rules"


def rule_image(region: str) -> str:
    """
    Return the image of AWS's rules in *region*.

    Raises:
        SettingsError: AWS has none there.
    """
    require_debugger(region)
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{ACCOUNTS[region]}.dkr.ecr.{region}.{domain}/{REPOSITORY}:latest"


def require_debugger(region: str) -> None:
    """Raise SettingsError if AWS has no Debugger in *region*."""
    if region not in ACCOUNTS:
        raise SettingsError(
            f"SageMaker Debugger is not in {region}",
            expected=f"one of {', '.join(ACCOUNTS)}",
            remedy='[debug] evaluator = "kennel" and [profile] platform = false: kennel judges '
            "everywhere",
        )
