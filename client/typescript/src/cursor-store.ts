import { constants } from "node:fs";
import { open, readlink, rename, type FileHandle } from "node:fs/promises";
import { dirname, isAbsolute } from "node:path";

/**
 * Keeps the position of a subscription while it is not running. It holds one cursor. Implement it over what the service
 * has already: a row that is written in the transaction that handles the event makes the handling exactly once. A
 * subscription ends with a CursorStoreError if a call fails.
 */
export interface CursorStore {
  /** The cursor saved last; undefined if none ever was. */
  load(): Promise<string | undefined> | string | undefined;
  /** Resolves only when `cursor` survives a crash. */
  save(cursor: string): Promise<void> | void;
}

/** Keeps a cursor as long as the process lives: a second subscription goes on where the first one ended. */
export class MemoryCursorStore implements CursorStore {
  constructor(public cursor?: string) {}
  load(): string | undefined {
    return this.cursor;
  }
  save(cursor: string): void {
    this.cursor = cursor;
  }
}

/** No gateway's cursor comes near; a file that is larger holds something else. */
const MAX_CURSOR_SIZE = 4096;
const CURSOR = /^[\x21-\x7e]{1,4096}$/;

/**
 * A file that holds the cursor and a line feed, as that of the clients in other languages. It is replaced as a whole: a
 * crash leaves the old cursor or the new one. For one writer at a time.
 */
export class FileCursorStore implements CursorStore {
  /**
   * `path` names the file, or a symbolic link to it, which stays. The file's folder must exist. A neighbour of the file,
   * called as it is with .tmp at the end, is used while saving.
   */
  constructor(readonly path: string) {}

  /** Fails if the file is there and holds no cursor: if it is empty, cut off or not text. */
  async load(): Promise<string | undefined> {
    let file: FileHandle;
    try {
      file = await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK); // A pipe would be waited for.
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
    try {
      if (!(await file.stat()).isFile()) {
        throw new Error(`${this.path} is not a plain file, which could be replaced by one with the next cursor`);
      }
      const buffer = Buffer.alloc(MAX_CURSOR_SIZE + 2);
      let size = 0;
      for (;;) {
        const { bytesRead } = await file.read(buffer, size, buffer.length - size);
        if (bytesRead === 0) break;
        size += bytesRead;
      }
      const text = buffer.toString("latin1", 0, size);
      // The line feed is the proof that the file was not cut off.
      if (text.endsWith("\n") && CURSOR.test(text.slice(0, -1)) && !text.slice(0, -1).includes("\n")) {
        return text.slice(0, -1);
      }
      throw new Error(
          `the cursor file ${this.path} is ${
              text === '' ? 'empty' : 'damaged'}: it must hold one cursor and a line feed. ` +
              'Restore it, or move it away to start again, at the price of missing or repeating events',
      );
    } finally {
      await file.close();
    }
  }

  async save(cursor: string): Promise<void> {
    if (!CURSOR.test(cursor) || cursor.includes("\n")) throw new Error(`not a cursor to save in ${this.path}`);
    // Renaming over a link would leave the file that it leads to, which is the one that is kept, as it was.
    const path = await followLinks(this.path);
    const file = await open(
      path + ".tmp",
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0),
      0o644,
    );
    try {
      await file.writeFile(cursor + "\n");
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(path + ".tmp", path);
    if (process.platform === "win32") return; // Folders cannot be synced there.
    // A renamed file is sure to be found after a crash only when its folder has been synced.
    const folder = await open(dirname(path), constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function isErrno(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException)?.code ?? "");
}

/** The file that `path` leads to, over any number of symbolic links, whether it is there yet or not. */
async function followLinks(path: string): Promise<string> {
  const mostLinks = 40; // As the kernel.
  for (let i = 0; i < mostLinks; i++) {
    let target: string;
    try {
      target = await readlink(path);
    } catch (error) {
      if (isErrno(error, "EINVAL", "ENOENT", "UNKNOWN")) return path; // Not a link, or nothing.
      throw error;
    }
    path = isAbsolute(target) ? target : path.slice(0, path.lastIndexOf("/") + 1) + target;
  }
  throw new Error(`the cursor file ${path} is behind too many symbolic links`);
}
