"""An application as it is deployed: behind servers of several processes, and as a worker of tasks.

It asks a model for whoever the request or message says, and answers with what only the provider and
it know: the id of the response. Nothing here names a tenant to spanmeter but the middleware.
"""
