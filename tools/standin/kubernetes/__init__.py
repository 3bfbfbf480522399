"""A stand-in for `pulumi-resource-kubernetes`, Pulumi's kubernetes plugin, for the types that this project uses.

It talks to the real API server and runs the real Helm. What it does is taken from what the real plugin was seen to
do, and a test compares the two. It serves no functions, no patch resources, and no kinds that the real plugin waits
for in ways of their own, such as Deployment.
"""
