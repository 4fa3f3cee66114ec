"""What `earsight support-dump` packs: facts about the device, and about nobody."""
