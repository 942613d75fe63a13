"""A chat server on this machine that answers as it is told, faults included."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def reply(*texts, usage=(7, 5), logprobs=None, finish="stop"):
    choices = [
        {
            "index": n,
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
            **({"logprobs": {"content": [{"token": "x", "logprob": one} for one in logprobs]}} if logprobs else {}),
        }
        for n, text in enumerate(texts)
    ]
    whole = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
    if usage:
        whole["usage"] = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
    return 200, {}, json.dumps(whole).encode()


class ChatServer:
    """`respond(body) -> (status, headers, content)` decides each answer; `requests` holds (headers, body, time)."""

    def __init__(self, respond, models=("m",), port=0):
        self.respond, self.requests = respond, []
        listed = [{"id": name, "object": "model"} for name in models]
        self.models = (200, {}, json.dumps({"object": "list", "data": listed}).encode())
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                self.give(*outer.models)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.headers, body, time.monotonic()))
                self.give(*outer.respond(body))

            def give(self, status, headers, content):
                try:
                    self.send_response(status)
                    usual = {"Content-Type": "application/json", "Content-Length": str(len(content))}
                    for name, value in {**usual, **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                if "Connection" in headers:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        class Http(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.http = Http(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
