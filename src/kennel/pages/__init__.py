"""
Pages that need nothing but a browser: one HTML file with its charts, and no network.

  markup   elements whose text is escaped by construction
  page     the document: head, styles, script, policy
  scales   values → places on an axis, and its ticks
  charts   plots of dots and lines
  parallel parallel coordinates
  legends  bars, colours and shapes with what they mean
  tables   tables that sort
  words    numbers, durations and dates as a reader wants them

What a page says is its maker's: kennel.tuning.report.
"""
