"""The Train page's own matter; ui.pages.train puts it together.

job, form        a job as the server tells it; what a person chooses, and the request it makes
client, follow   the jobs of the HTTP API as values; what is known of those that pages look at
marks            sizes, times and small pieces of HTML
curve            rows of metrics -> the loss curve
corpus_view, tokens_view   what the compiler made of the text
plan_view        what the training will take
job_view         how a job stands, its plan, samples, events, and the list of all
"""
