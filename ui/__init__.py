"""The pages. They speak HTTP to the gateway and import nothing else of lmft.

transport, sse, client   HTTP and server-sent events -> values (events, models)
merge, telling           many streams at once; one answer as it grows
story, saved, running    the story, its copy in the browser, what is kept of an open tab
render, text, theme      HTML (all escaped), every sentence, the look
pages                    layout and behaviour of Play and Compare
app                      the whole, and how a server mounts it
"""
