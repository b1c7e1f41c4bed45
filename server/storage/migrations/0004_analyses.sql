CREATE TABLE `analyses` (
	`device_id` text NOT NULL,
	`id` text PRIMARY KEY NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`blob_id` text NOT NULL,
	`filename` text NOT NULL,
	`file_size` integer NOT NULL,
	`format` text NOT NULL,
	`duration_seconds` real NOT NULL,
	`status` text NOT NULL,
	`message` text,
	`windows_done` integer DEFAULT 0 NOT NULL,
	`windows_total` integer NOT NULL,
	`runs` integer DEFAULT 0 NOT NULL,
	`owner` text,
	`lease_until` integer,
	`result` text
);
--> statement-breakpoint
CREATE INDEX `analyses_by_device` ON `analyses` (`device_id`,`created_at`);
--> statement-breakpoint
CREATE INDEX `analyses_by_status` ON `analyses` (`status`,`created_at`);
--> statement-breakpoint
CREATE INDEX `analyses_by_blob` ON `analyses` (`blob_id`);
--> statement-breakpoint
CREATE INDEX `analyses_by_time` ON `analyses` (`created_at`);
