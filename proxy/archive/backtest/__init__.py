"""Past calls, decided once more: under the policy that was in force, and under another one."""
