"""Probes with an object of its own whether a storage refuses to replace an object."""

from contextlib import suppress

import obstore
from obstore.store import ObjectStore

from remediator.clients.upload import STORAGE_ERRORS, Answer, meaning_of

PROBE = ".runbookd-probe"


async def refuses_to_replace(store: ObjectStore) -> bool:
    """Return whether `run_backup` can rely on the storage itself; some storages ignore the condition.

    The probe is removed afterwards if the credentials allow it.

    Raises:
        Exception: one of STORAGE_ERRORS; nothing can be written.
    """
    await obstore.put_async(store, PROBE, b"probe", use_multipart=False)
    try:
        await obstore.put_async(store, PROBE, b"replaced", mode="create", use_multipart=False)
    except STORAGE_ERRORS as error:
        if (meaning := meaning_of(error)) in (Answer.EXISTS, Answer.NOT_CONDITIONAL):
            return meaning is Answer.EXISTS
        raise
    finally:
        with suppress(*STORAGE_ERRORS):
            await obstore.delete_async(store, PROBE)
    return False
