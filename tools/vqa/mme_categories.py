"""MME's categories, in the order of its own tool. Pure data."""

PERCEPTION = (
    *("existence", "count", "position", "color", "posters"),
    *("celebrity", "scene", "landmark", "artwork", "OCR"),
)
COGNITION = (
    "commonsense_reasoning",
    "numerical_calculation",
    "text_translation",
    "code_reasoning",
)
CATEGORIES = (*PERCEPTION, *COGNITION)
