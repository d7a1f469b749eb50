"""
Pages that need nothing but a browser: one HTML file with its charts, and no network.

  markup   elements whose text is escaped by construction
  page     the document: head, styles, script, policy
  scales   values → places on an axis, and its ticks
  charts   plots of dots and lines, bars, a legend of colours
  parallel parallel coordinates
  tables   tables that sort
  words    numbers, durations and dates as a reader wants them

What a page says is its maker's: kennel.tuning.report.
"""
