"""
Pictures in folders: find them, check them, split them, stage them.

``folders`` lists a dataset, ``verify`` decodes every picture, ``check`` reports what is wrong,
``split`` divides one folder in three, ``digits`` writes the demonstration set and ``stage``
uploads. Nothing here imports torch: loading pictures for a model is kennel.training's.
"""
