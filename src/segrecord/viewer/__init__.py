"""`segrecord view`: a local page that shows every record of a dataset, and takes marks.

- app.py: the routes, and the server on 127.0.0.1
- guard.py: what is refused, and the headers of every answer
- answers.py: what the page shows, put together of the parts below; a record in words and numbers
- query.py: filters, sorts and pages over the index; the findings of a record
- record_images.py: one record in pictures
- marks.py: what people said of the records, in a CSV
- static/: the page itself, HTML, CSS and JavaScript as they are served
"""
