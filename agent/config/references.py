"""What a configuration names, read and verified: keys, policy table, calibration, venue, and who signs receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import credentials, policy
from agent.ruleset import load
from agent.ruleset.calibration_files import load_sites
from agent.ruleset.venue_files import BadVenueFile, load_venue
from agent.screening import BadCalibration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Config, ConfigError


def faults(config: Config) -> Iterator[ConfigError]:
    """What a configuration names but does not fit."""
    folder, bundles = config.folder, config.codes.bundles
    proofs: dict[tuple[str, str], Callable[[], object]] = {
        ("codes", "keys"): lambda: load.load_trust(config.codes, folder),
        ("policy", "table"): lambda: load.load_table(config.policy, folder, bundles),
        ("screening", "calibration"): lambda: load_sites(config.screening.calibration),
        ("venue", "file"): lambda: load_venue(config.venue, folder, bundles),
        ("mqtt", "delivery"): lambda: _check_receipt_role(config),
    }
    for path, read in proofs.items():
        try:
            read()
        except (credentials.BadTrustStore, policy.BadTable, BadCalibration, BadVenueFile) as error:
            yield config.fault(path, str(error))


def _check_receipt_role(config: Config) -> None:
    """With delivery `receipt`, somebody must be allowed to sign receipts. Raises BadTrustStore."""
    if config.mqtt.delivery != "receipt":
        return
    try:
        roles = load.bundle_store(config.bundle_folder).root().roles
    except (ValueError, OSError) as error:
        raise credentials.BadTrustStore(f"receipts need a root in the folder codes.bundles: {error}") from None
    if "receipt" not in roles:
        raise credentials.BadTrustStore("the root names nobody with the role `receipt`")
