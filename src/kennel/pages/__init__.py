"""
Pages that need nothing but a browser: one HTML file with its charts, and no network.

  markup   elements whose text is escaped by construction
  page     the document: head, styles, script, policy
  scales   values → places on an axis, and its ticks
  charts   plots of dots, lines and areas
  areas    the corners of areas: bands, what lies on top of each other, columns
  heatmap  rows of cells whose colour is their value
  parallel parallel coordinates
  legends  bars, colours and shapes with what they mean
  tables   tables that sort, and small ones
  words    numbers, durations and dates as a reader wants them

What a page says is its maker's: kennel.tuning.report, kennel.reports.
"""
