"""All planted defects."""

from netsim.defects.blobs import BLOB_DEFECTS
from netsim.defects.contents import CONTENT_DEFECTS
from netsim.defects.dht import DHT_DEFECTS
from netsim.defects.feeds import FEED_DEFECTS
from netsim.defects.planting import Defect
from netsim.defects.replication import REPLICATION_DEFECTS
from netsim.defects.resolving import RESOLVING_DEFECTS
from netsim.defects.services import SERVICE_DEFECTS
from netsim.defects.sharing import SHARING_DEFECTS
from netsim.defects.storage import STORAGE_DEFECTS
from netsim.defects.streams import STREAM_DEFECTS

DEFECTS: tuple[Defect, ...] = (
    *FEED_DEFECTS,
    *REPLICATION_DEFECTS,
    *BLOB_DEFECTS,
    *STORAGE_DEFECTS,
    *STREAM_DEFECTS,
    *SHARING_DEFECTS,
    *RESOLVING_DEFECTS,
    *CONTENT_DEFECTS,
    *SERVICE_DEFECTS,
    *DHT_DEFECTS,
)
