"""Which peer sends which feed to whom: EBT version 3 and createHistoryStream."""
