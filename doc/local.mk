# doc/: manual pages and guides.
