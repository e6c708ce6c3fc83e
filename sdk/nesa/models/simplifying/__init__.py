"""Float models as exporters write them, brought to the few forms that are compiled."""
