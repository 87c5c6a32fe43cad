"""What storage raises.

    StorageError
    ├── DatabaseUnavailable     try again later, nothing is lost by waiting
    │   └── SchemaOutOfDate     ... and only after `spanmeter db migrate`
    ├── UnknownDimension        a report by something the ledger does not know
    ├── NotSealed               a seal that cannot be made now
    ├── AdjustmentRefused       a correction that contradicts what is booked, or itself
    ├── LedgerIncomplete        rows that are asked for have left the ledger
    ├── EmbeddedDatabaseError   the embedded PostgreSQL cannot run here
    └── MissingExtra            a part of spanmeter is not installed

Each message is one sentence: what is wrong, where, what to do.
"""


class StorageError(Exception):
    """Any error of this package."""


class DatabaseUnavailable(StorageError):
    """The database cannot take or give rows now: down, starting, full, or too slow to answer."""


class SchemaOutOfDate(DatabaseUnavailable):
    """The database's schema is not the one this release works with."""


class UnknownDimension(StorageError):
    """A report was asked for by a name that is no dimension of the ledger."""


class NotSealed(StorageError):
    """What was booked up to a moment cannot be sealed: the moment is to come, or the ledger is never still."""


class AdjustmentRefused(StorageError):
    """A correction is booked already with another content, or is none that the ledger takes."""


class LedgerIncomplete(StorageError):
    """What is asked for rests on rows that retention has dropped."""


class EmbeddedDatabaseError(StorageError):
    """The embedded PostgreSQL could not be started in its data directory."""


class MissingExtra(StorageError):
    """An optional part is not installed; the message names the extra to install."""
