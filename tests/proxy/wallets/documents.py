"""What providers' documents show of their accounts (facts: providers.md), to be changed by tests."""

from __future__ import annotations

import json
from typing import Any

from proxy.settings import ProviderSettings

PAYG = "sk-ai-v1-payg"
SUBSCRIPTION = "sk-ss-v1-subscription"
MANAGEMENT = "sk-mg-v1-management"
NANO = 10**9


def settings(kind: str, **more: Any) -> ProviderSettings:
    fields: dict[str, Any] = {"kind": kind, "base_url": "http://account.test/api", **more}
    return ProviderSettings.model_validate(fields)


def body(document: object) -> bytes:
    return json.dumps(document).encode()


def detail(**more: Any) -> dict[str, Any]:
    """AGIPower's subscription (1.6)."""
    return {
        "success": True,
        "data": {
            "plan": {
                "tier": "ultra",
                "amount_usd": 200,
                "interval": "month",
                "expires_at": "2026-04-12T08:26:56.000Z",
            },
            "currency": "usd",
            "base_usd_per_flow": 0.03283,
            "effective_usd_per_flow": 0.03283,
            "account_status": "healthy",
            "quota_5_hour": window(),
            "quota_7_day": {
                "usage_percentage": 0.0673,
                "resets_at": "2026-03-26T02:15:05.000Z",
                "max_flows": 6182,
                "used_flows": 416.11,
                "remaining_flows": 5765.89,
                "used_value_usd": 13.66,
                "max_value_usd": 202.99,
            },
            "quota_monthly": {"max_flows": 34560, "max_value_usd": 1134.33},
            **more,
        },
    }


def window(**more: Any) -> dict[str, Any]:
    return {
        "usage_percentage": 0.0715,
        "resets_at": "2026-03-24T08:35:09.000Z",
        "max_flows": 800,
        "used_flows": 57.2,
        "remaining_flows": 742.8,
        "used_value_usd": 1.88,
        "max_value_usd": 26.27,
        **more,
    }


def payg_balance(**more: Any) -> dict[str, Any]:
    """AGIPower's balance (1.7)."""
    data = {"currency": "usd", "total_credits": 482.74, "top_up_credits": 35.0}
    return {"success": True, "data": {**data, "bonus_credits": 447.74, **more}}


def venice_balance(**more: Any) -> dict[str, Any]:
    """Venice's balance (2.4)."""
    balances = {"diem": 90.5, "usd": 25, "bundledCredits": 10, "earnedCredits": None}
    return {
        "canConsume": True,
        "consumptionCurrency": "DIEM",
        "balances": balances,
        "diemEpochAllocation": 100,
        **more,
    }


def venice_key(**more: Any) -> dict[str, Any]:
    """What one key of Venice may still use (2.4)."""
    return {
        "data": {
            "accessPermitted": True,
            "apiTier": {"id": "paid", "isCharged": True},
            "balances": {"USD": 50.23, "DIEM": 100.023, "BUNDLED_CREDITS": 25},
            "keyExpiration": None,
            "nextEpochBegins": "2026-04-21T00:00:00.000Z",
            "rateLimits": [
                {"apiModelId": "zai-org-glm-5-1", "rateLimits": [{"type": "RPM", "amount": 100}]}
            ],
            **more,
        }
    }
