"""Data, model, local training, aggregation and evaluation: the only part that imports torch and PEFT.

`datasets` and `shards` give each vehicle its samples, `lora` the adapter in its forms, `trainer` trains it,
`aggregate` joins the updates. `signs` draws the built-in data; `roadvit` is the model, `pretrain` made its weights.
"""
