"""GraphQL over HTTP and over graphql-transport-ws."""
