"""What is known of Qwen2.5-VL without running it: its checkpoint, prompts, pixels and places."""
