"""The tools over stdin and stdout, by the `mcp` package (2.x)."""

import json
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from ..estimator.local import Local
from ..version import VERSION
from .tools import TOOLS, call


def make_server(local: Local) -> Server[Any]:
    """A server of the tools over one service; it reads and computes, and changes nothing."""

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        hints = types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
        tools = [
            types.Tool(
                name=tool.name,
                description=tool.description,
                input_schema=tool.input_schema,
                annotations=hints,
            )
            for tool in TOOLS.values()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        answer, failed = call(local, params.name, params.arguments or {})
        text = types.TextContent(type="text", text=json.dumps(answer, ensure_ascii=False))
        return types.CallToolResult(content=[text], structured_content=answer, is_error=failed)

    return Server("llm-estimate", version=VERSION, on_list_tools=list_tools, on_call_tool=call_tool)


def serve(local: Local) -> None:
    """Serve on stdin and stdout until the client leaves."""

    async def run() -> None:
        server = make_server(local)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    anyio.run(run)
