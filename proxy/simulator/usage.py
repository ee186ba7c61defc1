"""What a call used, in disjoint parts: no token is counted in two of them."""

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The true consumption of one call; each dialect reports it in its own arithmetic."""

    #: Prompt tokens neither read from nor written to a cache.
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    #: Generated tokens that are visible, without `reasoning`.
    output: int = 0
    #: Generated tokens that were thought, billed like output.
    reasoning: int = 0
    web_searches: int = 0

    @property
    def cache_write(self) -> int:
        """Tokens written to a cache, whatever their time to live."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def prompt(self) -> int:
        """Everything the model read."""
        return self.input + self.cache_read + self.cache_write

    @property
    def completion(self) -> int:
        """Everything the model generated."""
        return self.output + self.reasoning

    @property
    def total(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
            web_searches=self.web_searches + other.web_searches,
        )


NOTHING = Usage()
