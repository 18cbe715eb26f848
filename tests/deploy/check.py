"""Lints deploy/, runs its commands, and compares what they ask of S3 with what their roles allow.

    python tests/deploy/check.py --bin target/release

Every job's command of deploy/compact.yaml runs with the real binary against the emulator, in the order of the state machine. Each must end well,
and ask for nothing that its role has not; and a role has nothing that its command was not seen to ask for, but for what only faults need. Exits with 1
at the first difference.
"""

import argparse
import gzip
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy" / "compact.yaml"
PARAMETERS = {
    "SourceBucket": "lake", "SourcePrefix": "raw/orders", "TableBucket": "tables", "TablePrefix": "parquet/orders",
    "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012",
}
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
ACTION = {
    "ListObjectsV2": "s3:ListBucket", "GetObject": "s3:GetObject", "HeadObject": "s3:GetObject", "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject", "CompleteMultipartUpload": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject", "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
# What a run without faults does not do, and why the role has it.
AFTER_FAULTS = {
    "PlanRole": {"s3:DeleteObject": "removes what a commit that died has left", "s3:GetObject": "reads manifests of earlier plans"},
    "ShareRole": {
        "s3:DeleteObject": "takes back files of a plan that it gives up", "s3:AbortMultipartUpload": "ends an upload that failed",
    },
    "CommitRole": {"s3:AbortMultipartUpload": "ends an upload that failed"},
    "GcRole": {"s3:DeleteObject": "removes what is old", "s3:AbortMultipartUpload": "ends uploads that are old"},
}


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's functions."""


def parameter(name, parameters):
    return parameters.get(name, f"<{name}>")


def sub(loader, node):
    return re.sub(r"\$\{([^}]+)\}", lambda found: parameter(found[1], loader.parameters), loader.construct_scalar(node))


Loader.add_constructor("!Sub", sub)
Loader.add_constructor("!Ref", lambda loader, node: parameter(loader.construct_scalar(node), loader.parameters))
Loader.add_constructor("!GetAtt", lambda loader, node: loader.construct_scalar(node))


def load():
    text = TEMPLATE.read_text()
    defaults = yaml.load(text, type("First", (Loader,), {"parameters": {}}))["Parameters"]
    known = {name: str(described["Default"]) for name, described in defaults.items() if "Default" in described}
    return yaml.load(text, type("Second", (Loader,), {"parameters": {**known, **PARAMETERS}}))["Resources"]


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(role):
    for policy in role["Properties"].get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def check_statements(resources):
    for name, resource in resources.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for statement in statements(resource):
            for text in listed(statement["Resource"]) + listed(statement["Action"]):
                assert text != "*" and not text.endswith(":*"), f"{name}: {text} is too much"
            for text in listed(statement["Resource"]):
                if text.startswith("arn:aws:s3:::"):
                    allowed = ("lake", "lake/raw/orders/*", "tables", "tables/parquet/orders/*")
                    assert text.removeprefix("arn:aws:s3:::") in allowed, f"{name}: {text}"
            if listed(statement["Resource"]) == ["arn:aws:s3:::lake/raw/orders/*"] and name != "GcRole":
                assert listed(statement["Action"]) == ["s3:GetObject"], f"{name} may only read the source"


def start_emulator(bin_folder, folder):
    emulator = subprocess.Popen(
        [bin_folder / "alluvial", "emulator", "--port", "0", "--dir", folder / "aws", "--log", "warn"],
        stdout=subprocess.PIPE, text=True,
    )
    environment = dict(os.environ)
    for line in emulator.stdout:
        if line.startswith("#"):
            break
        name, _, value = line.removeprefix("export ").strip().partition("=")
        environment[name] = value
    environment.pop("AWS_PROFILE", None)
    return emulator, environment


def run(command, environment):
    done = subprocess.run(command + ["--log", "aws_smithy_runtime=trace"], env=environment, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert done.returncode == 0, f"{command}: exit code {done.returncode}: {said}"
    return {ACTION[name] for name in re.findall(r'operation_name: \\?"(\w+)', done.stderr)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", type=pathlib.Path, required=True, help="the folder of the built binaries")
    bin_folder = arguments.parse_args().bin.resolve()
    subprocess.run([pathlib.Path(sys.executable).parent / "cfn-lint", str(TEMPLATE)], check=True)
    resources = load()
    check_statements(resources)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for hour in range(4):
            source = folder / "aws" / "s3" / "lake" / "raw" / "orders" / "2026" / "11" / "23" / f"{hour:02}"
            source.mkdir(parents=True)
            (source / "orders-1").write_bytes(gzip.compress(b'{"n":1}\n{"n":2}\n'))
        (folder / "aws" / "s3" / "tables").mkdir()
        emulator, environment = start_emulator(bin_folder, folder)
        try:
            for job in ["PlanJob", "ShareJob", "CommitJob", "GcJob"]:
                container = resources[job]["Properties"]["ContainerProperties"]
                command = [str(bin_folder / "compact"), *container["Command"]]
                shares = [{"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": "2"} for index in range(2)]
                each = shares if job == "ShareJob" else [{}]
                asked = set().union(*(run(command, {**environment, **more}) for more in each))
                role = container["JobRoleArn"].removesuffix(".Arn")
                allowed = {action for statement in statements(resources[role]) for action in listed(statement["Action"])}
                assert asked <= allowed, f"{job} asks for {asked - allowed}, which {role} has not"
                unused = allowed - asked - set(AFTER_FAULTS[role])
                assert not unused, f"{role} has {unused}, which {job} never asks for"
                print(f"{job}: {', '.join(sorted(asked))}")
        finally:
            emulator.terminate()
            emulator.wait()
    print("deploy/: ok")


if __name__ == "__main__":
    main()
