"""What a path asks for."""

import pytest

from proxy.simulator.paths import Flavour, Operation, understand


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", Operation.CHAT_COMPLETIONS),
        ("/api/v1/chat/completions", Operation.CHAT_COMPLETIONS),
        ("/v1beta/openai/chat/completions", Operation.CHAT_COMPLETIONS),
        ("/v1/responses", Operation.RESPONSES),
        ("/v1/messages", Operation.MESSAGES),
        ("/api/anthropic/v1/messages", Operation.MESSAGES),
        ("/anthropic/v1/messages", Operation.MESSAGES),
        ("/v1/messages/count_tokens", Operation.COUNT_TOKENS),
        ("/v1/responses/input_tokens", Operation.COUNT_TOKENS),
        ("/v1/responses/resp_1/cancel", Operation.RESPONSE_CANCEL),
        ("/api/v1/embeddings", Operation.EMBEDDINGS),
        ("/v1beta/models/gemini-2.5-pro:countTokens", Operation.COUNT_TOKENS),
        ("/v1beta/models/gemini-2.5-pro:predict", Operation.UNKNOWN),
        ("/v1/nothing", Operation.UNKNOWN),
        ("/elsewhere", Operation.UNKNOWN),
    ],
)
def test_a_posted_path_names_its_operation(path: str, operation: Operation) -> None:
    assert understand("POST", path).operation == operation


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/", Operation.GREETING),
        ("/v1/models", Operation.MODELS),
        ("/v1/responses/resp_1", Operation.RESPONSE_LOOKUP),
        ("/v1beta1/publishers/google/models", Operation.MODELS),
        ("/v1beta1/projects/p/locations/l/publishers/google/models", Operation.MODELS),
        ("/api/v1/generation", Operation.GENERATION),
        ("/api/v1/management/generation", Operation.GENERATION),
        ("/venice/api/v1/billing/usage-history", Operation.BILLING_USAGE_HISTORY),
        ("/v1/chat/completions", Operation.UNKNOWN),
    ],
)
def test_a_fetched_path_names_its_operation(path: str, operation: Operation) -> None:
    assert understand("GET", path).operation == operation


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/api/vertex-ai/v1/publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("/v1beta/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("/v1beta/models/google%2Fgemini-2.5-pro", "google/gemini-2.5-pro"),
        ("/v1beta/models/google/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("/v1/publishers/anthropic/models/claude:amazon", "anthropic/claude:amazon"),
        ("/v1beta1/projects/p/locations/l/publishers/google/models/g", "google/g"),
        ("/google/v1beta1/publishers/google/models/g", "g"),
    ],
)
def test_the_model_stands_before_the_last_colon(path: str, model: str) -> None:
    target = understand("POST", f"{path}:streamGenerateContent")

    assert target.operation == Operation.GENERATE_CONTENT
    assert target.model == model
    assert target.streamed


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_prefix_forces_the_flavour(flavour: Flavour) -> None:
    target = understand("POST", f"/{flavour}/api/v1/chat/completions")

    assert target.flavour == flavour
    assert target.operation == Operation.CHAT_COMPLETIONS


def test_without_a_prefix_the_flavour_is_open() -> None:
    assert understand("POST", "/api/v1/chat/completions").flavour is None
