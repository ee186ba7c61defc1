"""The dashboard: pages for people at the admin port, made on the server from what the admin API has."""
