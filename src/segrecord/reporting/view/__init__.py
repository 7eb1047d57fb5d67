"""`segrecord view`: a local page that shows every record of a dataset, and takes marks.

- app.py: the routes, and the server on 127.0.0.1
- guard.py: what is refused, and the headers of every answer
- answers.py: what the page is told, put together of the parts below
- query.py: filters, sorts and pages over the index
- findings.py: what was found of which record
- details.py: one record in words and numbers
- pictures.py: one record in pictures
- marks.py: what people said of the records, in a CSV
- static/: the page itself, HTML, CSS and JavaScript as they are served
"""
