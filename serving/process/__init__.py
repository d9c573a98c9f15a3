"""The process: settings become an open server, which stops in order."""
