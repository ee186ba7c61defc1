"""The simulated provider: AGIPower, Venice and their neighbours as their documents describe them.

It is the independent truth of the test-suite: it shares no code with the gateway, keeps its own
prices and its own arithmetic, and remembers what every call really used and what was billed.
The way in is `proxy.simulator.server.Simulator`; what answers can be told to do stands in
`proxy.simulator.scenario`.
"""
