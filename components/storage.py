"""The tenant's data and the key that encrypts it. All of it is stateful: no repair replaces or deletes it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import kms, s3

from components.scope import Scope


@dataclass(frozen=True, slots=True)
class StorageArgs:
    """What a Storage is made of."""

    scope: Scope
    deletion_window_days: int = 30
    """How long a key that is scheduled for deletion can still be saved; 30 is the most that KMS offers."""


class Storage(pulumi.ComponentResource):
    """A bucket that is encrypted with the tenant's own key, versioned, private, and reached over TLS only."""

    key_arn: pulumi.Output[str]
    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackmend:index:Storage", name, None, opts)
        scope = args.scope
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=scope.protect_data)
        key = kms.Key(
            scope.name("key"),
            description=f"Data and logs of {scope.tenant.name} in {scope.cell}",
            enable_key_rotation=True,
            deletion_window_in_days=args.deletion_window_days,
            policy=key_policy(scope),
            tags=scope.tags("key"),
            opts=kept,
        )
        kms.Alias(
            scope.name("key"),
            name=f"alias/stackmend/{scope.cell}/{scope.tenant.name}",
            target_key_id=key.id,
            opts=child,
        )
        bucket = s3.Bucket(scope.name("data"), tags=scope.tags("data"), opts=kept)
        s3.BucketVersioning(
            scope.name("data-versioning"),
            bucket=bucket.id,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        default_encryption = s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="aws:kms", kms_master_key_id=key.arn
        )
        s3.BucketServerSideEncryptionConfiguration(
            scope.name("data-encryption"),
            bucket=bucket.id,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default_encryption, bucket_key_enabled=True
                )
            ],
            opts=child,
        )
        closed = s3.BucketPublicAccessBlock(
            scope.name("data-public-access"),
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        s3.BucketPolicy(
            scope.name("data-policy"),
            bucket=bucket.id,
            policy=tls_only_policy(bucket.arn),
            # S3 answers OperationAborted when the two are set at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        self.key_arn, self.bucket_name, self.bucket_arn = key.arn, bucket.id, bucket.arn
        self.register_outputs({"bucket": self.bucket_name, "keyArn": self.key_arn})


def key_policy(scope: Scope) -> pulumi.Output[str]:
    """Key policy: the account governs the key through IAM, and CloudWatch Logs uses it for the tenant's log group only.

    Source: "Encrypt log data in CloudWatch Logs using AWS KMS", the statement with the encryption context.
    """
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "AccountGovernsThroughIam",
                    "Effect": "Allow",
                    "Principal": {
                        "AWS": pulumi.Output.concat(f"arn:{scope.partition}:iam::", scope.account_id, ":root")
                    },
                    "Action": "kms:*",
                    "Resource": "*",
                },
                {
                    "Sid": "LogGroupOfTheTenant",
                    "Effect": "Allow",
                    "Principal": {"Service": f"logs.{scope.region}.amazonaws.com"},
                    "Action": [
                        "kms:Encrypt",
                        "kms:Decrypt",
                        "kms:ReEncrypt*",
                        "kms:GenerateDataKey*",
                        "kms:DescribeKey",
                    ],
                    "Resource": "*",
                    "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": scope.log_group_arn}},
                },
            ],
        }
    )


def tls_only_policy(bucket_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Bucket policy that denies everybody everything over a connection that is not TLS."""
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OnlyOverTls",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket_arn, pulumi.Output.concat(bucket_arn, "/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )
