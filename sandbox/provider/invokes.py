"""The provider's functions that a program may call while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sandbox.provider.aws import Clients
from sandbox.provider.errors import ProviderError
from sandbox.provider.values import Properties


def filters(args: Properties) -> list[dict[str, object]]:
    return [{"Name": one["name"], "Values": one["values"]} for one in args.get("filters", [])]


def availability_zones(aws: Clients, args: Properties) -> Properties:
    _only(args, "state", "filters", "excludeNames")
    wanted = filters(args) + ([{"Name": "state", "Values": [args["state"]]}] if "state" in args else [])
    zones = aws("ec2").describe_availability_zones(Filters=wanted)["AvailabilityZones"]
    zones = sorted(
        (z for z in zones if z["ZoneName"] not in args.get("excludeNames", [])), key=lambda z: str(z["ZoneName"])
    )
    names, ids = [z["ZoneName"] for z in zones], [z["ZoneId"] for z in zones]
    return {**args, "id": aws.region, "region": aws.region, "names": names, "zoneIds": ids, "groupNames": [aws.region]}


def caller_identity(aws: Clients, args: Properties) -> Properties:
    _only(args)
    who = aws("sts").get_caller_identity()
    return {"id": who["Account"], "accountId": who["Account"], "arn": who["Arn"], "userId": who["UserId"]}


def region(aws: Clients, args: Properties) -> Properties:
    _only(args)
    name = aws.region
    return {"id": name, "region": name, "name": name, "description": name, "endpoint": f"ec2.{name}.amazonaws.com"}


def partition(_: Clients, args: Properties) -> Properties:
    _only(args)
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def ami(aws: Clients, args: Properties) -> Properties:
    """Raises ProviderError if no image fits, or if several do and the newest is not asked for."""
    _only(args, "filters", "mostRecent", "nameRegex", "owners")
    owners = {"Owners": args["owners"]} if "owners" in args else {}
    images = aws("ec2").describe_images(Filters=filters(args), **owners)["Images"]
    images = [image for image in images if re.search(args.get("nameRegex", ""), image.get("Name", ""))]
    images.sort(key=lambda image: (str(image.get("CreationDate", "")), str(image["ImageId"])), reverse=True)
    if not images:
        raise ProviderError("your query returned no results", where="aws:ec2/getAmi:getAmi")
    if len(images) > 1 and not args.get("mostRecent"):
        raise ProviderError("your query returned more than one result", where="aws:ec2/getAmi:getAmi")
    names = {"architecture": "Architecture", "creationDate": "CreationDate", "name": "Name", "ownerId": "OwnerId"}
    image = images[0]
    found = {ours: image.get(theirs, "") for ours, theirs in names.items()}
    return {**args, **found, "id": image["ImageId"], "imageId": image["ImageId"]}


def _only(args: Properties, *known: str) -> None:
    if strange := args.keys() - {*known, "region"}:
        raise ProviderError(f"argument {min(strange)!r} is not known to the stand-in provider")


INVOKES: Mapping[str, Callable[[Clients, Properties], Properties]] = {
    "aws:ec2/getAmi:getAmi": ami,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getPartition:getPartition": partition,
    "aws:index/getRegion:getRegion": region,
}
