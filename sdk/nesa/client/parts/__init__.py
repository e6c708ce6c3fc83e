"""What `Client` can do, a class for each purpose; `nesa.client.client` combines them."""
