"""The lineage server: pages and API over registered sessions. Imports only `roar.wire` and `roar.errors`."""
