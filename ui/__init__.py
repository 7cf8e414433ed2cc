"""The pages. They speak HTTP to the gateway and import nothing else of lmft.

transport, sse, client   HTTP and server-sent events -> values (events, models)
training                 files, jobs and what is seen of them
incoming                 where dropped files lie until they are passed on
merge, telling           many streams at once; one answer as it grows
story, saved, running    the story, its copy in the browser, what is kept of an open tab
render, text, text_train, theme   HTML (all escaped), every sentence, the look
pages                    layout and behaviour of Play, Compare and Train
app                      the whole, and how a server mounts it
"""
