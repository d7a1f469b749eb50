"""
Debugger, open: tensors that a training saves, and rules that say from them what is wrong.

AWS's Debugger has the same rules as closed images. smdebug writes and reads the tensors.
"""
