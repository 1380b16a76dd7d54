import { constants, type ServerHttp2Stream } from "node:http2";
import type { Logger } from "../lib/logger.js";
import { unfinishedBytes } from "./budget.js";
import { createFrameReader, type Frame } from "./grpc-frame.js";
import { type GrpcLimitName, grpcLimits } from "./grpc-limits.js";
import { type CallError, callError, ofLimit, type Status, status } from "./grpc-status.js";
import type { Guard } from "./incidents.js";
import { inTurn } from "./turns.js";

/** One call with messages in both directions. */
export interface GrpcCall {
  /** Address and port of the client, as far as they are still known. */
  peer(): string;
  /** Every value of a header of the request, as it came. */
  header(name: string): readonly string[];
  /** The first valid request came: what bounds strangers bounds the call, and its connection, no more. */
  proved(): void;
  /** A call that has ended takes nothing more, and says nothing about it. */
  write(message: Frame): void;
  /** Ends the call once all that was written is through. `details` are for the client to read. */
  end(code: Status, details?: string): void;
}

export interface GrpcListener {
  /** A message came. None does after `closed`. */
  message(bytes: Buffer): void;
  /** The last word about a call, once, whoever ended it; our own `end` has it said before it returns. */
  closed(): void;
}

/** Serves a call. One whose client says that no message follows is ended as `ok`. */
export type GrpcMethod = (call: GrpcCall) => GrpcListener;

/** What bounds a call, each by its name in `grpcLimits`. */
export type CallLimits = Readonly<Record<"first_message_time" | "first_message" | "message", number>>;

export const usualCallLimits: CallLimits = {
  first_message_time: grpcLimits.first_message_time.value,
  first_message: grpcLimits.first_message.value,
  message: grpcLimits.message.value,
};

/** Messages of one call that may wait for their turn before no more are read. */
const mostWaiting = 16;

export const contentType = "application/grpc";
const responseHeaders = { ":status": 200, "content-type": contentType, "grpc-accept-encoding": "identity" };

const trailersOf = (code: Status, details: string) => ({
  "grpc-status": code,
  ...(details === "" ? {} : { "grpc-message": encodeURI(details.toWellFormed()) }),
});

/**
 * Answers with headers alone, unless the client has taken its request back: it may have been reset in the very segment
 * that brought it, and writing to it then throws.
 */
export function answerOnly(stream: ServerHttp2Stream, headers: Readonly<Record<string, string | number>>): void {
  if (stream.destroyed || stream.closed || stream.session?.destroyed !== false) return;
  stream.respond(headers, { endStream: true });
  stream.resume();
}

/** Ends a call that was not served. */
export const refuseCall = (stream: ServerHttp2Stream, { code, details }: CallError): void =>
  answerOnly(stream, { ...responseHeaders, ...trailersOf(code, details) });

export interface Serving {
  readonly stream: ServerHttp2Stream;
  readonly rawHeaders: readonly string[];
  readonly method: GrpcMethod;
  readonly limits: CallLimits;
  readonly guard: Guard;
  readonly logger: Logger;
  readonly refused: (limit: GrpcLimitName) => void;
  /** The call sent its first valid request. */
  readonly proved: () => void;
  /** The calls of the server, each by how to end it: this one is among them until it has ended. */
  readonly calls: Set<GrpcCall["end"]>;
}

/** Serves a call until either side ends it. */
export function serveCall(serving: Serving): void {
  const { stream, rawHeaders, method, limits, guard, logger, refused } = serving;
  let listener: GrpcListener | undefined;
  let ended = false;
  let begun = false;
  let proved = false;
  let waiting = 0;
  let received = 0;
  const unfinished = unfinishedBytes.share(() => exceeded("unfinished", callError("grpc.unfinished")));
  const strangerTimer = setTimeout(() => {
    const seconds = limits.first_message_time / 1000;
    exceeded("first_message_time", callError("grpc.first-message-time", { seconds }));
  }, limits.first_message_time);

  function leave(): void {
    if (ended) return;
    ended = true;
    clearTimeout(strangerTimer);
    unfinished.hold(0);
    serving.calls.delete(end);
    listener?.closed();
  }

  const isWritable = () => !stream.destroyed && !stream.closed && stream.session?.destroyed === false;

  function end(code: Status, details = ""): void {
    if (ended) return;
    leave();
    if (!isWritable()) return;
    const trailers = trailersOf(code, details);
    if (begun) {
      stream.once(
        "wantTrailers",
        guard(() => {
          if (isWritable()) stream.sendTrailers(trailers);
          setImmediate(stop);
        }, fail),
      );
      stream.end();
    } else {
      stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
      setImmediate(stop);
    }
    stream.resume();
  }

  function fails(error: CallError): void {
    end(error.code, error.details);
  }

  function exceeded(limit: GrpcLimitName, error: CallError): void {
    if (ended) return;
    refused(limit);
    fails(ofLimit(limit, error));
  }

  /** What the client still says is nobody's any more. Too early, this would overtake our last words. */
  const stop = guard(() => {
    if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  });

  /** Gives the call up after an exception. */
  function fail(): void {
    leave();
    stream.destroy();
  }

  function handle(bytes: Buffer): void {
    waiting -= 1;
    if (ended) return;
    if (waiting === 0 && stream.isPaused()) stream.resume();
    try {
      listener?.message(bytes);
    } catch (error) {
      logger.error("a message could not be handled", { peer: call.peer(), error });
      fails(callError("grpc.internal"));
    }
  }

  const call: GrpcCall = {
    peer() {
      const { remoteAddress = "", remotePort = "" } = stream.session?.socket ?? {};
      return `${remoteAddress}:${remotePort}`;
    },
    header: (name) => rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1] === name),
    proved() {
      if (proved || ended) return;
      proved = true;
      clearTimeout(strangerTimer);
      serving.proved();
    },
    write(message) {
      if (ended || !isWritable()) return;
      if (!begun) stream.respond(responseHeaders, { waitForTrailers: true });
      begun = true;
      // What waits in the stream is bounded by whoever writes, who waits for acknowledgements.
      stream.write(message);
    },
    end,
  };

  const read = createFrameReader({
    // What follows a first message is measured before that one's turn has come; if it was none, the call ends then.
    longest: () => (received > 0 ? limits.message : limits.first_message),
    message(bytes) {
      received += 1;
      waiting += 1;
      if (waiting >= mostWaiting) stream.pause();
      inTurn(guard(() => handle(bytes), fail));
    },
    failed(error) {
      if (error === "compressed") fails(callError("grpc.compressed"));
      else if (received > 0) exceeded("message", callError("grpc.message", { most: limits.message }));
      else exceeded("first_message", callError("grpc.first-message", { most: limits.first_message }));
    },
    held: (bytes) => {
      if (!ended) unfinished.hold(bytes);
    },
  });
  stream.on("data", guard(read, fail));
  // In their turn, too, so that what was said before is heard before.
  const finished = guard(() => end(status.ok), fail);
  stream.on("end", () => inTurn(finished));
  // A stream that broke has ended, and nothing else is concerned.
  for (const event of ["error", "aborted", "close"]) stream.on(event, guard(leave));
  serving.calls.add(end);
  guard(() => {
    listener = method(call);
  }, fail)();
}
