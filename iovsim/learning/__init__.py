"""Data, models, local training, aggregation and evaluation: the only part that imports torch and PEFT.

`data` gives each vehicle its samples, of which `generated` draws or writes the built-in ones; `backbones` are the
frozen models, one of them made by `pretraining`; `lora` holds adapters in their forms, `trainer` trains them
one by one with plain PEFT, `batched` many at once, `aggregate` joins the updates, `evaluate` measures them.
"""
