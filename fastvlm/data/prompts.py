"""The words that a task puts to the model.

The wording is this project's own: the datasets that it is used with give images and captions, no instruction.
"""

TASK_PROMPTS = {
    "caption": "Describe the image in one sentence.",
    "description": "Describe the image in detail.",
}

# Source: the llava-hf model cards and processors (the authors' own form has a system sentence before it).
LLAVA_TEMPLATE = "USER: <image>\n{prompt} ASSISTANT:"
