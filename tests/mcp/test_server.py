"""The server as a client of the `mcp` package sees it, over a pipe, as agents start it."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

mcp = pytest.importorskip("mcp")
pytestmark = pytest.mark.slow


def test_a_client_lists_and_calls() -> None:
    import anyio
    from mcp.client.stdio import StdioServerParameters, stdio_client

    from app.mcp.tools import TOOLS

    command = StdioServerParameters(command=sys.executable, args=["llm_estimate.py", "mcp"], cwd=ROOT)

    async def talk() -> None:
        async with stdio_client(command) as (reading, writing), mcp.ClientSession(reading, writing) as client:
            await client.initialize()
            listed = await client.list_tools()
            assert {tool.name for tool in listed.tools} == set(TOOLS)
            answer = await client.call_tool("memory_inference", {"model_size": 7, "precision": "float16"})
            assert not answer.is_error
            assert answer.structured_content["memory_bytes"]["model_weights"] == 14 * 10**9
            refused = await client.call_tool("memory_inference", {"model_name": "nobody"})
            assert refused.is_error
            assert refused.structured_content["code"] == "not_found"

    anyio.run(talk)
